/* The micro:bit's settings pages: the last two of flash, through NVMC. The processor stands still meanwhile. */
#include "../../core/board.h"
#include "registers.h"

#define PAGES 0x0003F800u
enum { NVMC_READ = 0, NVMC_WRITE = 1, NVMC_ERASE = 2 };

static uint32_t address_of(unsigned page, uint32_t offset) { return PAGES + page * FLASH_PAGE_BYTES + offset; }

static void until_ready(void) {
    while ((NVMC_READY & 1u) == 0) {
    }
}

static void set_mode(uint32_t mode) {
    NVMC_CONFIG = mode;
    until_ready();
}

uint32_t board_flash_read(unsigned page, uint32_t offset) { return REG(address_of(page, offset)); }

void board_flash_write(unsigned page, uint32_t offset, uint32_t word) {
    set_mode(NVMC_WRITE);
    REG(address_of(page, offset)) = word;
    until_ready();
    set_mode(NVMC_READ);
}

void board_flash_erase(unsigned page) {
    set_mode(NVMC_ERASE);
    NVMC_ERASEPAGE = address_of(page, 0);
    until_ready();
    set_mode(NVMC_READ);
}
