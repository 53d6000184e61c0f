// What a CUDA source needs of the language, for a C++ compiler of the host: a fibre is a thread, and fibres take
// turns at barriers. Included ahead of the source; `run.cpp` holds the rest.
#pragma once

#include <math.h>

#include <utility>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(size) __attribute__((aligned(size)))
#define __shared__

struct Place {
    int x;
};

extern Place threadIdx, blockIdx, blockDim, gridDim;

// Threads of a block, or of a warp, wait for each other; `where` must be the same for all of them.
void wait_for_block(int where);
void wait_for_warp(int where);

// Where the lanes of this warp put what they exchange: another place each time, in turn.
struct Exchange {
    double values[32];
};
Exchange &next_exchange();

template <class Value> Value exchange(unsigned lanes, Value value, int mask, int where)
{
    Exchange &there = next_exchange();
    const int lane = threadIdx.x % 32;
    there.values[lane] = value;
    wait_for_warp(lanes == ~0u ? where * 32 + mask : -1);
    return Value(there.values[lane ^ mask]);
}

#define __syncthreads() wait_for_block(__LINE__)
#define __syncwarp() wait_for_warp(__LINE__ * 32)
#define __shfl_xor_sync(lanes, value, mask) exchange(lanes, value, mask, __LINE__)

template <class Value> Value __ldg(const Value *value) { return *value; }

// Calls a kernel with arguments that are pointed to.
template <class... Arguments, std::size_t... I>
void call(void (*kernel)(Arguments...), void **values, std::index_sequence<I...>)
{
    kernel(*static_cast<Arguments *>(values[I])...);
}

template <class... Arguments> void call(void (*kernel)(Arguments...), void **values)
{
    call(kernel, values, std::index_sequence_for<Arguments...>());
}
