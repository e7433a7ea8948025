#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}

uint64_t fuzz_number(struct fuzz_input *input, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)fuzz_byte(input) << (8 * i);
    return number;
}

const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t length, size_t *taken)
{
    const uint8_t *start = input->data;
    *taken = length < input->left ? length : input->left;
    input->data += *taken;
    input->left -= *taken;
    return start;
}

static char *copy(const uint8_t *data, size_t length)
{
    char *text = malloc(length + 1);
    fuzz_require(text);
    if (length)
        memcpy(text, data, length);
    text[length] = '\0';
    return text;
}

char *fuzz_line(struct fuzz_input *input)
{
    size_t length = 0, taken;
    while (length < input->left && input->data[length] != '\0' && input->data[length] != '\n')
        length++;
    const uint8_t *start = fuzz_bytes(input, length, &taken);
    char *line = copy(start, taken);
    fuzz_byte(input);
    return line;
}

char *fuzz_text(struct fuzz_input *input)
{
    size_t taken;
    const uint8_t *start = fuzz_bytes(input, input->left, &taken);
    return copy(start, taken);
}

static char directory[512];
static pid_t owner;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static void remove_directory(void)
{
    if (getpid() == owner)
        nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_directory(void)
{
    if (!directory[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(directory, sizeof(directory), "%s/castbucket-fuzz-XXXXXX", base ? base : "/tmp");
        fuzz_require(mkdtemp(directory));
        owner = getpid();
        fuzz_require(atexit(remove_directory) == 0);
    }
    return directory;
}

void fuzz_write(int folder, const char *name, const void *data, size_t length)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_require(fd >= 0);
    fuzz_require(length == 0 || write(fd, data, length) == (ssize_t)length);
    close(fd);
}
