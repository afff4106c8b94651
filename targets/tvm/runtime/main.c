/*
 * Runner of one component: argv[1] is the weights file, which is not opened if the component reads none. Repeats until
 * the end of standard input: reads all inputs, runs, writes all outputs, so that a decoding loop starts the process
 * once. A component without inputs is run until nobody reads its outputs. Static, without a libc.
 *
 * Exit codes: 0 end of input, 2 usage, 3 weights file unreadable or too short, 4 input ends inside a tensor,
 * 5 output cannot be written, 6 a kernel failed.
 */
#include "linux_calls.h"
#include "runner_config.h"

enum { USAGE = 2, BAD_WEIGHTS = 3, SHORT_INPUT = 4, BAD_OUTPUT = 5, KERNEL_FAILED = 6 };
enum { AT_FDCWD = -100, SEEK_END = 2, PROT_READ = 1, MAP_PRIVATE = 2, INTERRUPTED = -4 };

static uint8_t arena[NPUC_RUNNER_ARENA_BYTES] __attribute__((aligned(128)));
static uint8_t input_bytes[NPUC_RUNNER_INPUT_BYTES] __attribute__((aligned(128)));
static uint8_t output_bytes[NPUC_RUNNER_OUTPUT_BYTES] __attribute__((aligned(128)));

static void leave(int code) {
    for (;;) npuc_system_call(CALL_EXIT_GROUP, code, 0, 0, 0, 0, 0);
}

/* Moves exactly `size` bytes; returns how many it could. */
static size_t transfer(long call, int file, uint8_t *bytes, size_t size) {
    size_t done = 0;

    while (done < size) {
        long moved = npuc_system_call(call, file, (long)(bytes + done), (long)(size - done), 0, 0, 0);
        if (moved == INTERRUPTED) continue;
        if (moved <= 0) break;
        done += (size_t)moved;
    }
    return done;
}

static const void *map_weights(const char *path) {
    long file, size, address;

    if (NPUC_RUNNER_WEIGHT_BYTES == 0) return arena;
    file = npuc_system_call(CALL_OPENAT, AT_FDCWD, (long)path, 0, 0, 0, 0);
    if (file < 0) leave(BAD_WEIGHTS);
    size = npuc_system_call(CALL_LSEEK, file, 0, SEEK_END, 0, 0, 0);
    if (size < 0 || (uint64_t)size < NPUC_RUNNER_WEIGHT_BYTES) leave(BAD_WEIGHTS);
    address = npuc_system_call(CALL_MMAP, 0, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (address < 0 && address > -4096) leave(BAD_WEIGHTS);
    return (const void *)address;
}

/* Reads all inputs; returns 0 at the end of input before the first byte. Where there is nothing to read, it never ends. */
static int read_inputs(void) {
    size_t offset = 0, total = 0;

    for (int i = 0; i < NPUC_RUNNER_INPUT_COUNT; ++i) {
        size_t got = transfer(CALL_READ, 0, input_bytes + offset, runner_input_sizes[i]);
        total += got;
        if (got < runner_input_sizes[i]) {
            if (total == 0) return 0;
            leave(SHORT_INPUT);
        }
        offset += NPUC_RUNNER_ALIGN(runner_input_sizes[i]);
    }
    return 1;
}

static void write_outputs(void) {
    size_t offset = 0;

    for (int i = 0; i < NPUC_RUNNER_OUTPUT_COUNT; ++i) {
        size_t size = runner_output_sizes[i];
        if (transfer(CALL_WRITE, 1, output_bytes + offset, size) < size) leave(BAD_OUTPUT);
        offset += NPUC_RUNNER_ALIGN(size);
    }
}

__attribute__((used, noreturn)) void npuc_start(long *stack) {
    const void *inputs[NPUC_RUNNER_INPUT_COUNT + 1];
    void *outputs[NPUC_RUNNER_OUTPUT_COUNT + 1];
    const void *weights;
    size_t offset = 0;

    if (stack[0] != 2) leave(USAGE);
    weights = map_weights((const char *)stack[2]);
    for (int i = 0; i < NPUC_RUNNER_INPUT_COUNT; ++i) {
        inputs[i] = input_bytes + offset;
        offset += NPUC_RUNNER_ALIGN(runner_input_sizes[i]);
    }
    offset = 0;
    for (int i = 0; i < NPUC_RUNNER_OUTPUT_COUNT; ++i) {
        outputs[i] = output_bytes + offset;
        offset += NPUC_RUNNER_ALIGN(runner_output_sizes[i]);
    }
    while (read_inputs()) {
        if (NPUC_RUNNER_RUN(weights, arena, inputs, outputs) != 0) leave(KERNEL_FAILED);
        write_outputs();
    }
    leave(0);
    __builtin_unreachable();
}
