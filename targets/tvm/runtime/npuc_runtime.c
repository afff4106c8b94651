/*
 * The part of TVM's runtime interface that its kernels refer to, for one thread and no dynamic loading.
 * An error inside a kernel cannot be handled by anyone, so it traps.
 */
#include "npuc_runtime.h"

enum { ALIGNMENT = 128 };

typedef uint64_t __attribute__((may_alias)) AliasingWord;

static uint8_t *workspace;
static size_t workspace_size;
static size_t workspace_used;

void npuc_workspace_open(uint8_t *memory, size_t size) {
    workspace = memory;
    workspace_size = size;
    workspace_used = 0;
}

int npuc_call(NpucKernel kernel, NpucTensor *tensors, int32_t count) {
    NpucAny arguments[count];
    NpucAny result = {0, 0, {0}};

    for (int32_t i = 0; i < count; ++i) {
        arguments[i] = (NpucAny){NPUC_TYPE_DLTENSOR, 0, {0}};
        arguments[i].value.pointer = &tensors[i];
    }
    return kernel(0, arguments, count, &result);
}

/* Kernels free in the reverse order of allocation: a stack is enough. Its size is the planned maximum. */
void *TVMBackendAllocWorkspace(int device, int id, uint64_t size, int code, int bits) {
    size_t start = workspace_used;

    (void)device, (void)id, (void)code, (void)bits;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > workspace_size - start) __builtin_trap();
    workspace_used = start + (size_t)size;
    return workspace + start;
}

int TVMBackendFreeWorkspace(int device, int id, void *memory) {
    (void)device, (void)id;
    workspace_used = (size_t)((uint8_t *)memory - workspace);
    return 0;
}

typedef struct {
    void *sync_handle;
    int32_t task_count;
} ParallelGroup;

int TVMBackendParallelLaunch(int (*task)(int, ParallelGroup *, void *), void *data, int count) {
    ParallelGroup one = {0, 1};

    (void)count;
    return task(0, &one, data);
}

int TVMBackendParallelBarrier(int task, ParallelGroup *group) {
    (void)task, (void)group;
    return 0;
}

void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message) {
    (void)kind, (void)message;
    __builtin_trap();
}

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int count) {
    (void)kind, (void)parts, (void)count;
    __builtin_trap();
}

/* Called by the object's static constructor; symbols are linked, so there is nothing to register. */
int TVMFFIEnvModRegisterSystemLibSymbol(const char *name, void *symbol) {
    (void)name, (void)symbol;
    return 0;
}

/* The compiler may turn loops into calls of these; a libc, where there is one, has its own. */
__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;

    while (count--) *target++ = *source++;
    return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;

    if (target < source)
        while (count--) *target++ = *source++;
    else
        while (count--) target[count] = source[count];
    return to;
}

__attribute__((weak)) void *memset(void *to, int value, size_t count) {
    uint8_t *target = to;
    uint64_t pattern = UINT64_C(0x0101010101010101) * (uint8_t)value;

    for (; count && (uintptr_t)target % sizeof pattern; --count) *target++ = (uint8_t)value;
    for (; count >= sizeof pattern; count -= sizeof pattern, target += sizeof pattern) *(AliasingWord *)target = pattern;
    for (; count; --count) *target++ = (uint8_t)value;
    return to;
}
