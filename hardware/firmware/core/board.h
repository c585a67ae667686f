/* What a board does for the core. Each board, and each test, implements these functions; the core calls nothing else. */
#ifndef RDV_BOARD_H
#define RDV_BOARD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advert.h"

#define ADDRESS_BYTES 6u
#define DEVICE_ID_BYTES 8u
#define BOARD_NAME_BYTES 20u

/* Capabilities (COMPANION.md 4). */
enum {
    CAN_BEACON = 1u << 0,
    CAN_RADIO = 1u << 1,
    CAN_SCAN_RESPONSE = 1u << 2,
    CAN_BATTERY = 1u << 3,
    CAN_KEEP_CLOCK = 1u << 4,
    CAN_ADVANCE = 1u << 15,
};

enum reset_reason { RESET_POWER = 0, RESET_PIN, RESET_WATCHDOG, RESET_ASKED, RESET_LOCKUP, RESET_UNKNOWN };

enum air_kind { AIR_NOTHING = 0, AIR_EID, AIR_NEEDS_TIME, AIR_HOST };

/* One advertisement: everything that changes in one instant. */
struct air {
    enum air_kind kind;
    uint16_t interval_ms;
    int8_t tx_dbm;
    bool scannable;
    uint8_t address[ADDRESS_BYTES]; /* random; most significant byte first */
    uint8_t data_length;
    uint8_t scan_length;
    uint8_t data[ADVERT_MAX];
    uint8_t scan[ADVERT_MAX];
};

struct radio_counters {
    uint32_t events;
    uint32_t faults;
};

/* What does not change while the board runs. */
struct board_facts {
    uint32_t boot_id;
    uint32_t image_crc;
    uint16_t capabilities;
    enum reset_reason reset_reason;
    uint8_t device_id[DEVICE_ID_BYTES];
    uint8_t name[BOARD_NAME_BYTES];
};

/* Survives a reset without loss of power, where the board can; otherwise it may hold anything at the start. */
struct kept_clock {
    uint32_t seconds;
    uint32_t since_set;
    uint16_t ms;
    int16_t rate;
    uint8_t known;
    uint8_t ever_set;
    uint16_t check;
};

const struct board_facts *board_facts(void);
struct kept_clock *board_kept_clock(void);

/* Milliseconds since the start; wraps. To be read at least every 20 days. */
uint32_t board_millis(void);
void board_random(uint8_t *out, size_t n);
void board_send(const uint8_t *wire, size_t n);
/* Bytes of the line that were lost on their way to the core. */
uint32_t board_lost_bytes(void);
/* mV, 0 where it cannot be measured. */
uint16_t board_battery_mv(void);
/* The transmit level nearest to dbm, and what the antenna then radiates at 0 m. */
int8_t board_tx_level(int8_t dbm);
int8_t board_calibrated(int8_t tx_level);
/* Puts *air on the air between two advertising events, whole, in place of what was there; copies it. */
void board_advertise(const struct air *air);
struct radio_counters board_radio_counters(void);
/* Restarts the board; may return, and the core then does nothing more until the restart. */
void board_reset(void);

/* Flash for settings: two pages that are erased (to all ones) alone, written in words that can only clear bits. */
#define FLASH_PAGE_BYTES 1024u
uint32_t board_flash_read(unsigned page, uint32_t offset);
void board_flash_write(unsigned page, uint32_t offset, uint32_t word);
void board_flash_erase(unsigned page);
#endif
