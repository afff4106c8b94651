/* Runs the component `model` once: main WEIGHTS INPUT OUTPUT, all three files of raw bytes. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model.h"

static uint8_t arena[NPUC_MODEL_ARENA_BYTES] __attribute__((aligned(NPUC_MODEL_ALIGNMENT)));
static uint8_t input[NPUC_MODEL_INPUT_0_BYTES] __attribute__((aligned(NPUC_MODEL_ALIGNMENT)));
static uint8_t output[NPUC_MODEL_OUTPUT_0_BYTES] __attribute__((aligned(NPUC_MODEL_ALIGNMENT)));

/* Maps a whole file; its pages are read when a kernel touches them. */
static const void *map_file(const char *path, size_t least) {
    struct stat status;
    int file = open(path, O_RDONLY);

    if (file < 0 || fstat(file, &status) != 0 || (size_t)status.st_size < least) return NULL;
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    return bytes == MAP_FAILED ? NULL : bytes;
}

static int transfer(const char *path, const char *mode, uint8_t *bytes, size_t size) {
    FILE *file = fopen(path, mode);
    size_t moved = 0;

    if (file == NULL) return 0;
    moved = mode[0] == 'r' ? fread(bytes, 1, size, file) : fwrite(bytes, 1, size, file);
    return fclose(file) == 0 && moved == size;
}

int main(int count, char **arguments) {
    const void *inputs[] = {input};
    void *outputs[] = {output};

    if (count != 4) return 2;
    const void *weights = map_file(arguments[1], NPUC_MODEL_WEIGHT_BYTES);
    if (weights == NULL || !transfer(arguments[2], "rb", input, sizeof input)) return 3;
    if (npuc_model_run(weights, arena, inputs, outputs) != 0) return 4;
    return transfer(arguments[3], "wb", output, sizeof output) ? 0 : 5;
}
