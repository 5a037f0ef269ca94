// Runs a fuzzer's property over files without a fuzzer: build/fuzz/NAME FILE-OR-FOLDER ...
// Each input ends where a page without access begins: reading one byte too many ends the run.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int n_inputs;

static int replay_file(const char *path) {
    char *data;
    size_t bytes;
    if (cop_file_read(path, (size_t)64 << 20, &data, &bytes)) {
        fprintf(stderr, "%s\n", cop_error_text());
        return 1;
    }
    size_t room = (bytes + 4095) / 4096 * 4096;
    uint8_t *pages = mmap(NULL, room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + room, 4096, PROT_NONE)) {
        fprintf(stderr, "%s: cannot map %zu bytes\n", path, bytes);
        cop_free(data);
        return 1;
    }
    memcpy(pages + room - bytes, data, bytes);
    cop_free(data);
    n_inputs++;
    LLVMFuzzerTestOneInput(pages + room - bytes, bytes);
    munmap(pages, room + 4096);
    return 0;
}

static int replay(const char *path) {
    struct stat info;
    if (stat(path, &info) || !S_ISDIR(info.st_mode)) return replay_file(path);
    DIR *folder = opendir(path);
    int failed = !folder;
    for (struct dirent *e; folder && (e = readdir(folder));) {
        char file[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        failed |= replay_file(file);
    }
    if (folder) closedir(folder);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) failed |= replay(argv[i]);
    printf("%s: %d inputs replayed%s\n", argv[0], n_inputs, failed ? ", some could not be read" : "");
    return failed || !n_inputs;
}
