// The kernels of a CUDA source, SOURCE, for `run`.
#include "cuda_on_host.h"

#include SOURCE

extern "C" void call_sum_tiles(void **values) { call(sum_tiles, values); }
extern "C" void call_label_rows(void **values) { call(label_rows, values); }
