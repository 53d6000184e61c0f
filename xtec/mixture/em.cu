// E and M sums of diagonal components in one pass over the trajectories: `FusedModel` for CUDA.
//
// Rows are worked on in tiles that stay in shared memory, in the precision of the data: in the E phase a
// thread has rows of its own, in the M phase a warp has four temperatures of some components and its lanes share
// the rows. What a tile adds up to is summed in float64.
//
// Given by the compiler's options:
//   REAL          float or double
//   N_COMPONENTS  even, filled up with components of no weight
//   N_FEATURES    temperatures
//   WARPS         of a block
//   EACH          rows of a thread: what is read of the model serves them all
//   BLOCKS        of a multiprocessor, which bounds the registers of a thread

typedef long long Index;

constexpr unsigned ALL_LANES = ~0u;
constexpr int CHUNK = 4; // temperatures that are loaded together
constexpr int FOUR = 4;  // temperatures of a task
constexpr int FILLED = (N_FEATURES + FOUR - 1) / FOUR * FOUR;
constexpr int WIDE = N_COMPONENTS % 4 ? 2 : 4; // components of a task
constexpr int TASKS = N_COMPONENTS / WIDE * (FILLED / FOUR);
constexpr int TASKS_EACH = (TASKS + WARPS - 1) / WARPS;
constexpr int WEIGHTS_EACH = (N_COMPONENTS + WARPS - 1) / WARPS;
constexpr int UNROLLED = TASKS_EACH <= 4 ? TASKS_EACH : 1; // beyond, code would outgrow its cache
constexpr int AHEAD = sizeof(REAL) == 4 ? 2 : 1; // rows of a lane in the M phase, as registers allow
constexpr int THREADS = 32 * WARPS;
constexpr int ROWS = THREADS * EACH;

struct Trajectories {
    const REAL *elements;
    Index n, row, column; // how many, and the steps from one row and one column to the next
};

struct alignas(2 * sizeof(REAL)) Pair {
    REAL one, other;
};

// Two components (one in double precision) at a temperature, read at once.
struct alignas(16) Pack {
    static constexpr int SIZE = 8 / sizeof(REAL);
    Pair pairs[SIZE];
};

struct Model {
    const Pack *packs;     // (T, K): 1 / sqrt(2 variance), and the mean times that
    const Pair *frame;     // (T,): centre and unit
    const REAL *means;     // (K, T')
    const REAL *constants; // (K,): ln of weight times density at the mean, less the highest

    __device__ explicit Model(const REAL *values)
        : packs(reinterpret_cast<const Pack *>(values)),
          frame(reinterpret_cast<const Pair *>(values + 2 * N_FEATURES * N_COMPONENTS)),
          means(values + 2 * N_FEATURES * (N_COMPONENTS + 1)), constants(means + N_COMPONENTS * FILLED)
    {
    }
};

// Values of some rows at the temperatures of a chunk; goes on to those of the next. Beyond the last temperature, it
// is read again: without conditions, loads can be on their way while others are worked on.
__device__ __forceinline__ void load(const REAL *(&rows)[EACH], Index column, int first, REAL (&values)[CHUNK][EACH])
{
#pragma unroll
    for (int t = 0; t < CHUNK; ++t)
#pragma unroll
        for (int i = 0; i < EACH; ++i) {
            values[t][i] = __ldg(rows[i]);
            rows[i] += N_FEATURES % CHUNK == 0 || first + t + 1 < N_FEATURES ? column : 0;
        }
}

// What the temperatures of a chunk add to the ln densities of a thread's rows; the rows go into a tile (T', ROWS).
template <int COUNT, bool IS_KEPT>
__device__ __forceinline__ void add_densities(const REAL (&values)[CHUNK][EACH], int first, const Model &model,
                                              REAL *tile, REAL (&joint)[EACH][N_COMPONENTS])
{
    constexpr int PACKS = N_COMPONENTS / Pack::SIZE;
#pragma unroll
    for (int t = 0; t < COUNT; ++t) {
        const Pair frame = model.frame[first + t];
        REAL scaled[EACH];
#pragma unroll
        for (int i = 0; i < EACH; ++i) {
            scaled[i] = (values[t][i] - frame.one) * frame.other;
            if (IS_KEPT)
                tile[(first + t) * ROWS + i * THREADS + threadIdx.x] = scaled[i];
        }
#pragma unroll
        for (int k = 0; k < PACKS; ++k) {
            const Pack pack = model.packs[(first + t) * PACKS + k];
#pragma unroll
            for (int j = 0; j < Pack::SIZE; ++j)
#pragma unroll
                for (int i = 0; i < EACH; ++i) {
                    const REAL step = scaled[i] * pack.pairs[j].one - pack.pairs[j].other;
                    joint[i][k * Pack::SIZE + j] -= step * step;
                }
        }
    }
}

// ln of weight times density of each component, for the rows of a thread in the tile that starts at a row. Rows
// beyond the last are taken for the last. While one chunk is worked on, the next is on its way.
template <bool IS_KEPT>
__device__ __forceinline__ void log_densities(const Trajectories &data, Index start, const Model &model, REAL *tile,
                                              REAL (&joint)[EACH][N_COMPONENTS])
{
    constexpr int LAST = (N_FEATURES - 1) / CHUNK * CHUNK;
    const REAL *rows[EACH];
    REAL values[CHUNK][EACH], next[CHUNK][EACH];
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
        const Index row = start + i * THREADS + threadIdx.x;
        rows[i] = data.elements + (row < data.n ? row : data.n - 1) * data.row;
#pragma unroll
        for (int k = 0; k < N_COMPONENTS; ++k)
            joint[i][k] = model.constants[k];
    }
    load(rows, data.column, 0, values);
#pragma unroll 1
    for (int first = 0; first < LAST; first += CHUNK) {
        load(rows, data.column, first + CHUNK, next);
        add_densities<CHUNK, IS_KEPT>(values, first, model, tile, joint);
#pragma unroll
        for (int t = 0; t < CHUNK; ++t)
#pragma unroll
            for (int i = 0; i < EACH; ++i)
                values[t][i] = next[t][i];
    }
    add_densities<N_FEATURES - LAST, IS_KEPT>(values, LAST, model, tile, joint);
}

__device__ __forceinline__ REAL highest(const REAL (&joint)[N_COMPONENTS])
{
    REAL top = joint[0];
#pragma unroll
    for (int k = 1; k < N_COMPONENTS; ++k)
        top = joint[k] > top ? joint[k] : top;
    return top;
}

// Densities in units of the highest, in place; their sum.
__device__ __forceinline__ REAL exponentiate(REAL (&joint)[N_COMPONENTS], REAL top)
{
    REAL total = 0;
#pragma unroll
    for (int k = 0; k < N_COMPONENTS; ++k) {
        joint[k] = exp(joint[k] - top);
        total += joint[k];
    }
    return total;
}

// Responsibilities (K, ROWS) for the rows of a thread, none for those beyond the last; the sum of ln densities.
__device__ __forceinline__ double share(const Trajectories &data, Index start, REAL *shares,
                                        REAL (&joint)[EACH][N_COMPONENTS])
{
    double logs = 0;
    REAL product = 1; // one logarithm for several rows: a factor is at most the number of components
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
        const int row = i * THREADS + threadIdx.x;
        const bool inside = start + row < data.n;
        const REAL top = highest(joint[i]), total = exponentiate(joint[i], top);
        const REAL part = inside ? 1 / total : 0;
        logs += inside ? top : 0;
        product *= inside ? total : 1;
#pragma unroll
        for (int k = 0; k < N_COMPONENTS; ++k)
            shares[k * ROWS + row] = joint[i][k] * part;
    }
    return logs + log(product);
}

// Sums over the lanes of a warp of several values in each: lane l gets that of value l * COUNT / 32. Half of what a
// lane has left changes hands at a time.
template <int COUNT, int MASK = 16> struct OverLanes {
    static __device__ __forceinline__ REAL sum(REAL *values)
    {
        const bool upper = threadIdx.x & MASK;
#pragma unroll
        for (int i = 0; i < COUNT / 2; ++i) {
            const REAL sent = upper ? values[i] : values[i + COUNT / 2];
            const REAL kept = upper ? values[i + COUNT / 2] : values[i];
            values[i] = kept + __shfl_xor_sync(ALL_LANES, sent, MASK);
        }
        return OverLanes<COUNT / 2, MASK / 2>::sum(values);
    }
};

template <int MASK> struct OverLanes<1, MASK> {
    static __device__ __forceinline__ REAL sum(REAL *values)
    {
#pragma unroll
        for (int mask = MASK; mask > 0; mask /= 2)
            values[0] += __shfl_xor_sync(ALL_LANES, values[0], mask);
        return values[0];
    }
};

__device__ __forceinline__ double sum_over_lanes(double value)
{
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2)
        value += __shfl_xor_sync(ALL_LANES, value, mask);
    return value;
}

// First and second moments of a task about the means, of a tile: (2, WIDE, FOUR) values over the lanes of a warp.
__device__ __forceinline__ REAL moments(const REAL *tile, const REAL *shares, const REAL *means)
{
    REAL mean[WIDE][FOUR], sums[2 * WIDE * FOUR];
#pragma unroll
    for (int k = 0; k < WIDE; ++k)
#pragma unroll
        for (int t = 0; t < FOUR; ++t) {
            mean[k][t] = means[k * FILLED + t];
            sums[k * FOUR + t] = sums[(WIDE + k) * FOUR + t] = 0;
        }
#pragma unroll AHEAD
    for (int row = threadIdx.x % 32; row < ROWS; row += 32) {
        REAL values[FOUR];
#pragma unroll
        for (int t = 0; t < FOUR; ++t)
            values[t] = tile[t * ROWS + row];
#pragma unroll
        for (int k = 0; k < WIDE; ++k) {
            const REAL part = shares[k * ROWS + row];
#pragma unroll
            for (int t = 0; t < FOUR; ++t) {
                const REAL step = values[t] - mean[k][t], first = part * step;
                sums[k * FOUR + t] += first;
                sums[(WIDE + k) * FOUR + t] += first * step;
            }
        }
    }
    return OverLanes<2 * WIDE * FOUR>::sum(sums);
}

__device__ __forceinline__ REAL weight(const REAL *shares)
{
    REAL sum[1] = {0};
#pragma unroll 2
    for (int row = threadIdx.x % 32; row < ROWS; row += 32)
        sum[0] += shares[row];
    return OverLanes<1>::sum(sum);
}

// Component and temperature with which a task begins.
__device__ __forceinline__ int component_of(int task) { return task / (FILLED / FOUR) * WIDE; }
__device__ __forceinline__ int temperature_of(int task) { return task % (FILLED / FOUR) * FOUR; }

// Weights go to the last warps, as tasks go to the first where they do not go round.
__device__ __forceinline__ int weighed_by(int warp, int turn) { return WARPS - 1 - warp + turn * WARPS; }

// Sums of a block's tiles: of each component its weight, first and second moments (T' each) about its mean; at the
// end the sum of ln densities. Each block has a row of its own in `partial`. The model is not said to be restricted:
// its means would take up registers throughout.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    sum_tiles(const REAL *elements, Index n, Index row, Index column, const REAL *values, double *partial)
{
    extern __shared__ __align__(16) unsigned char memory[];
    REAL *const tile = reinterpret_cast<REAL *>(memory), *const shares = tile + FILLED * ROWS;
    const Trajectories data = {elements, n, row, column};
    const Model model(values);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    double sums[TASKS_EACH] = {}, weights[WEIGHTS_EACH] = {}, logs = 0;
    for (int i = N_FEATURES * ROWS + threadIdx.x; i < FILLED * ROWS; i += THREADS)
        tile[i] = 0;
    for (Index start = Index(blockIdx.x) * ROWS; start < n; start += Index(gridDim.x) * ROWS) {
        REAL joint[EACH][N_COMPONENTS];
        log_densities<true>(data, start, model, tile, joint);
        logs += share(data, start, shares, joint);
        __syncthreads();
#pragma unroll UNROLLED
        for (int turn = 0; turn < TASKS_EACH; ++turn) {
            const int task = warp + turn * WARPS, k = component_of(task), t = temperature_of(task);
            if (task < TASKS)
                sums[turn] += moments(tile + t * ROWS, shares + k * ROWS, model.means + k * FILLED + t);
        }
#pragma unroll
        for (int turn = 0; turn < WEIGHTS_EACH; ++turn)
            if (weighed_by(warp, turn) < N_COMPONENTS)
                weights[turn] += weight(shares + weighed_by(warp, turn) * ROWS);
        __syncthreads();
    }

    constexpr int LENGTH = 1 + 2 * FILLED;
    partial += Index(blockIdx.x) * (N_COMPONENTS * LENGTH + 1);
    constexpr int SHARE = 16 / (WIDE * FOUR); // lanes that have the same sum
    const int value = lane / SHARE, moment = value / (WIDE * FOUR);
#pragma unroll UNROLLED
    for (int turn = 0; turn < TASKS_EACH; ++turn) {
        const int task = warp + turn * WARPS;
        const int k = component_of(task) + value / FOUR % WIDE, t = temperature_of(task) + value % FOUR;
        if (task < TASKS && lane % SHARE == 0)
            partial[k * LENGTH + 1 + moment * FILLED + t] = sums[turn];
    }
#pragma unroll
    for (int turn = 0; turn < WEIGHTS_EACH; ++turn)
        if (weighed_by(warp, turn) < N_COMPONENTS && lane == 0)
            partial[weighed_by(warp, turn) * LENGTH] = weights[turn];
    double *const logs_of_warps = reinterpret_cast<double *>(memory);
    logs = sum_over_lanes(logs);
    if (lane == 0)
        logs_of_warps[warp] = logs;
    __syncthreads();
    if (threadIdx.x == 0) {
        double total = 0;
        for (int i = 0; i < WARPS; ++i)
            total += logs_of_warps[i];
        partial[N_COMPONENTS * LENGTH] = total;
    }
}

// Most probable component of each trajectory, the first of several alike, and its probability.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    label_rows(const REAL *elements, Index n, Index row, Index column, const REAL *values, short *label,
               float *probability)
{
    const Trajectories data = {elements, n, row, column};
    const Model model(values);
    for (Index start = Index(blockIdx.x) * ROWS; start < n; start += Index(gridDim.x) * ROWS) {
        REAL joint[EACH][N_COMPONENTS];
        log_densities<false>(data, start, model, nullptr, joint);
#pragma unroll
        for (int i = 0; i < EACH; ++i) {
            const Index here = start + i * THREADS + threadIdx.x;
            const REAL top = highest(joint[i]);
            int found = 0;
#pragma unroll
            for (int k = N_COMPONENTS - 1; k >= 0; --k)
                found = joint[i][k] == top ? k : found;
            const REAL total = exponentiate(joint[i], top);
            if (here < n) {
                label[here] = short(found);
                probability[here] = float(1 / total);
            }
        }
    }
}
