// Runs the blocks of a CUDA kernel one after the other, each thread a fibre of one thread of the host.
//
// Fibres run in a fixed order from barrier to barrier. A barrier that not all of a block, or of a warp, come to is
// an error, and so is one that they come to at different places of the source.

#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#include <memory>
#include <vector>

#include "cuda_on_host.h"

Place threadIdx, blockIdx, blockDim, gridDim;

constexpr int WARP = 32, SHARED = 48 * 1024, GUARD = 1024, STACK = 64 * 1024;
constexpr unsigned char UNSET = 0xff; // NaN in every precision

alignas(16) unsigned char memory[SHARED + GUARD];

namespace {

struct Barrier {
    int size = 0, arrived = 0, where = 0;
    long passed = 0;
};

struct Warp {
    Barrier barrier;
    Exchange exchanges[2];
};

struct Fibre {
    ucontext_t start;
    jmp_buf here;
    std::unique_ptr<char[]> stack;
    Barrier *waits_for = nullptr;
    long passed = 0;
    bool begun = false, ended = false, odd = false;
};

std::vector<Fibre> fibres;
std::vector<Warp> warps;
Barrier block;
jmp_buf scheduler;
int current;
const char *fault;
void (*kernel)(void **);
void **arguments;

// Fibres are left by jumps, which unlike swapcontext ask nothing of the system.
void leave()
{
    if (!_setjmp(fibres[current].here))
        _longjmp(scheduler, 1);
}

void wait(Barrier &barrier, int where)
{
    Fibre &fibre = fibres[current];
    if (barrier.arrived && barrier.where != where)
        fault = "threads wait for each other at different places";
    barrier.where = where;
    if (++barrier.arrived == barrier.size) {
        barrier.arrived = 0;
        ++barrier.passed;
        return;
    }
    fibre.waits_for = &barrier;
    fibre.passed = barrier.passed;
    leave();
}

void body()
{
    kernel(arguments);
    fibres[current].ended = true;
    _longjmp(scheduler, 1);
}

bool is_held(const Fibre &fibre)
{
    return fibre.ended || (fibre.waits_for && fibre.waits_for->passed == fibre.passed);
}

void resume(int number)
{
    Fibre &fibre = fibres[number];
    current = threadIdx.x = number;
    fibre.waits_for = nullptr;
    if (_setjmp(scheduler))
        return;
    if (fibre.begun)
        _longjmp(fibre.here, 1);
    fibre.begun = true;
    setcontext(&fibre.start);
}

void prepare(int threads)
{
    fibres.resize(threads);
    warps.assign(threads / WARP, Warp());
    for (Warp &warp : warps)
        warp.barrier.size = WARP;
    block = Barrier();
    block.size = threads;
    for (Fibre &fibre : fibres) {
        if (!fibre.stack)
            fibre.stack.reset(new char[STACK]);
        fibre.begun = fibre.ended = fibre.odd = false;
        fibre.waits_for = nullptr;
        getcontext(&fibre.start);
        fibre.start.uc_stack.ss_sp = fibre.stack.get();
        fibre.start.uc_stack.ss_size = STACK;
        makecontext(&fibre.start, body, 0);
    }
}

void run_block(int threads, bool backwards)
{
    prepare(threads);
    for (bool moved = true; moved && !fault;) {
        moved = false;
        for (int i = 0; i < threads && !fault; ++i) {
            const int number = backwards ? threads - 1 - i : i;
            if (is_held(fibres[number]))
                continue;
            resume(number);
            moved = true;
        }
    }
    for (const Fibre &fibre : fibres)
        if (!fibre.ended && !fault)
            fault = "threads wait for others that never come";
}

} // namespace

void wait_for_block(int where) { wait(block, where); }
void wait_for_warp(int where)
{
    if (where < 0)
        fault = "not all lanes take part";
    wait(warps[current / WARP].barrier, where);
}

Exchange &next_exchange()
{
    fibres[current].odd = !fibres[current].odd;
    return warps[current / WARP].exchanges[fibres[current].odd];
}

// What went wrong, or null. `call` unpacks the arguments.
extern "C" const char *run(void (*call)(void **), void **values, int grid, int threads, int shared_bytes,
                           int backwards)
{
    kernel = call;
    arguments = values;
    fault = nullptr;
    gridDim.x = grid;
    blockDim.x = threads;
    for (int i = 0; i < grid && !fault; ++i) {
        blockIdx.x = backwards ? grid - 1 - i : i;
        memset(memory, UNSET, sizeof memory);
        run_block(threads, backwards);
        for (int byte = shared_bytes; byte < SHARED + GUARD && !fault; ++byte)
            if (memory[byte] != UNSET)
                fault = "written beyond the shared memory that was asked for";
    }
    return fault;
}
