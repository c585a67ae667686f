/* The native board's flash. */
#include "flash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../core/board.h"

#define WORDS (FLASH_PAGE_BYTES / 4)
#define POWER_FAILED 9

static uint32_t (*flash)[WORDS];
static int32_t power_left;

static void give_up(const char *what) {
    perror(what);
    exit(1);
}

void flash_open(const char *path, int32_t cut) {
    const size_t bytes = (size_t)2 * FLASH_PAGE_BYTES;
    power_left = cut;
    int file = -1;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    bool blank = true;
    if (path != NULL) {
        struct stat there;
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0 || fstat(file, &there) != 0) give_up(path);
        blank = there.st_size != (off_t)bytes;
        if (blank && ftruncate(file, (off_t)bytes) != 0) give_up(path);
        flags = MAP_SHARED;
    }
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (mapped == MAP_FAILED) give_up("native: flash");
    if (file >= 0) (void)close(file);
    flash = mapped;
    if (blank) memset(flash, 0xff, bytes);
}

/* True when the power fails in this operation. */
static bool power_fails(void) { return power_left > 0 && --power_left == 0; }

uint32_t board_flash_read(unsigned page, uint32_t offset) { return flash[page][offset / 4]; }

void board_flash_write(unsigned page, uint32_t offset, uint32_t word) {
    bool fails = power_fails();
    flash[page][offset / 4] &= fails ? word | 0x0ff0a55au : word;
    if (fails) _exit(POWER_FAILED);
}

void board_flash_erase(unsigned page) {
    bool fails = power_fails();
    for (unsigned i = 0; i < WORDS; i++) flash[page][i] |= fails && i >= WORDS / 2 ? 0x0ff0a55au : 0xffffffffu;
    if (fails) _exit(POWER_FAILED);
}
