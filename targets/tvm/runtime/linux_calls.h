/* System calls of Linux without a libc, for AArch64, x86-64 and Hexagon. Numbers: include/uapi/asm-generic/unistd.h and
 * arch/x86/entry/syscalls/syscall_64.tbl. */
#ifndef NPUC_LINUX_CALLS_H
#define NPUC_LINUX_CALLS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__aarch64__)

enum { CALL_OPENAT = 56, CALL_LSEEK = 62, CALL_READ = 63, CALL_WRITE = 64, CALL_EXIT_GROUP = 94, CALL_MMAP = 222 };

static long npuc_system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

/* The kernel starts a process with the argument count and vector on the stack. */
__asm__(".text\n.globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n and sp, x0, #-16\n b npuc_start\n");

#elif defined(__x86_64__)

enum { CALL_OPENAT = 257, CALL_LSEEK = 8, CALL_READ = 0, CALL_WRITE = 1, CALL_EXIT_GROUP = 231, CALL_MMAP = 9 };

static long npuc_system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

__asm__(".text\n.globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call npuc_start\n");

#elif defined(__hexagon__)

/* As on every 32-bit system, 222 takes its offset in pages; 62 is a call of another form and is not used here. */
enum { CALL_OPENAT = 56, CALL_LSEEK = 62, CALL_READ = 63, CALL_WRITE = 64, CALL_EXIT_GROUP = 94, CALL_MMAP = 222 };

static long npuc_system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r6 __asm__("r6") = number;
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    register long r3 __asm__("r3") = d;
    register long r4 __asm__("r4") = e;
    register long r5 __asm__("r5") = f;

    __asm__ volatile("trap0(#1)" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5), "r"(r6) : "memory");
    return r0;
}

/* HVX registers are spilled to addresses that are multiples of their size. */
__asm__(".text\n.globl _start\n_start:\n { r0 = r29 }\n { r29 = and(r29, #-128) }\n { jump npuc_start }\n");

#else
#error "the runner knows AArch64, x86-64 and Hexagon Linux"
#endif

#endif
