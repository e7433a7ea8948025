/* Instead of libFuzzer's main(): runs the target over files, or every file of a directory, and says
 * how many there were. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define LARGEST_INPUT (1 << 20)

static unsigned inputs;

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *whole = malloc(LARGEST_INPUT);
    fuzz_require(file && whole);
    size_t size = fread(whole, 1, LARGEST_INPUT, file);
    fclose(file);
    /* A block of exactly its size, so that a read past its end is seen. */
    uint8_t *data = malloc(size ? size : 1);
    fuzz_require(data);
    memcpy(data, whole, size);
    free(whole);
    /* Says which, should it crash. */
    fprintf(stderr, "%s\n", path);
    fuzz_require(LLVMFuzzerTestOneInput(data, size) == 0);
    free(data);
    inputs++;
}

static void replay(const char *path)
{
    struct stat info;
    fuzz_require(stat(path, &info) == 0);
    if (!S_ISDIR(info.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    fuzz_require(count >= 0);
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u inputs\n", inputs);
    return inputs ? 0 : 1;
}
