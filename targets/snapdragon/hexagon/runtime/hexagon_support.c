/* What LLVM's Hexagon back end calls beside the C library's functions. Freestanding C11. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);

/* A copy of at least 32 bytes, a multiple of 8, as LLVM's HexagonSelectionDAGInfo.cpp emits it. */
void __hexagon_memcpy_likely_aligned_min32bytes_mult8bytes(void *to, const void *from, size_t count) {
    memcpy(to, from, count);
}
