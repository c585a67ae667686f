/* A board of memory for tests: time passes when told, flash can lose power in the middle of a write, all is deterministic. */
#ifndef RDV_FAKE_BOARD_H
#define RDV_FAKE_BOARD_H
#include "../core/board.h"
#include "../core/frame.h"

#define FAKE_SENT_MAX 8u

/* Frames that the device sent since they were last cleared: type, seq, payload. */
struct fake_sent {
    uint8_t length;
    uint8_t bytes[FRAME_RAW_MAX];
};

extern struct fake_sent fake_sent[FAKE_SENT_MAX];
extern unsigned fake_sent_count;
/* Bytes sent that were no whole frame. */
extern unsigned fake_sent_damaged;
extern struct air fake_air;
extern uint32_t fake_flash[2][FLASH_PAGE_BYTES / 4];
/* Writes and erases from now on until the power fails; negative: it does not. The one that it fails in is done in part. */
extern int32_t fake_power;
/* That one is done nearly to its end instead: it reads as if done, and falls back in part at fake_decay() unless done again. */
extern bool fake_weak;
/* Flash is worn: erasing does nothing. */
extern bool fake_worn;
extern bool fake_reset_asked;

/* A new board: blank flash, no memory. */
void fake_new(void);
/* It restarts: `reason` RESET_POWER forgets its memory. The first start has boot id 01020304, each adds 1. */
void fake_restart(enum reset_reason reason);
void fake_pass(uint32_t ms);
/* Months pass for the flash: what holds its charge badly loses it. */
void fake_decay(void);
#endif
