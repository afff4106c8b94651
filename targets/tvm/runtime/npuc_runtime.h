/*
 * What generated components need around their kernels: the kernel calling convention and a scratch allocator.
 * Freestanding C11; no libc.
 *
 * Kernels follow TVM's packed calling convention: arguments are tagged values (TVMFFIAny) that point to DLPack
 * tensors. The structures below have the layout of tvm/ffi/c_api.h and dlpack.h.
 */
#ifndef NPUC_RUNTIME_H
#define NPUC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* DLTensor */
typedef struct {
    void *data;
    struct {
        int32_t type;
        int32_t id;
    } device;
    int32_t rank;
    struct {
        uint8_t code;
        uint8_t bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} NpucTensor;

/* TVMFFIAny */
typedef struct {
    int32_t type_index;
    uint32_t padding;
    union {
        int64_t integer;
        double real;
        void *pointer;
    } value;
} NpucAny;

typedef int (*NpucKernel)(void *self, NpucAny *arguments, int32_t count, NpucAny *result);

enum { NPUC_DEVICE_CPU = 1, NPUC_TYPE_DLTENSOR = 7 };

static inline NpucTensor npuc_tensor(const void *data, int32_t rank, uint8_t code, uint8_t bits, int64_t *shape,
                                     int64_t *strides) {
    return (NpucTensor){(void *)data, {NPUC_DEVICE_CPU, 0}, rank, {code, bits, 1}, shape, strides, 0};
}

/* Calls a kernel with `count` tensors, at least one; returns its status. */
int npuc_call(NpucKernel kernel, NpucTensor *tensors, int32_t count);

/* Gives the kernels that follow `size` bytes of scratch memory. */
void npuc_workspace_open(uint8_t *memory, size_t size);

#endif
