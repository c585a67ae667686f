/* The board of memory. */
#include "fake-board.h"

#include "../core/bytes.h"

struct fake_sent fake_sent[FAKE_SENT_MAX];
unsigned fake_sent_count;
unsigned fake_sent_damaged;
struct air fake_air;
uint32_t fake_flash[2][FLASH_PAGE_BYTES / 4];
int32_t fake_power = -1;
bool fake_weak;
bool fake_worn;
bool fake_reset_asked;

static struct board_facts facts;
static struct kept_clock kept;
static struct frame_decoder line;
static uint32_t millis;
static uint8_t chance;
#define PAGE_WORDS (FLASH_PAGE_BYTES / 4)
static uint32_t fading[2][PAGE_WORDS]; /* bits that were cleared weakly */
static uint32_t shadow[2][PAGE_WORDS]; /* what was there before an erase that was cut off; all ones: nothing */

void fake_new(void) {
    static const uint8_t ID[DEVICE_ID_BYTES] = {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8};
    static const uint8_t NAME[6] = {'v', 'e', 'c', 't', 'o', 'r'};
    for (unsigned page = 0; page < 2; page++)
        for (unsigned i = 0; i < PAGE_WORDS; i++) {
            fake_flash[page][i] = shadow[page][i] = 0xffffffffu;
            fading[page][i] = 0;
        }
    facts = (struct board_facts){.boot_id = 0x01020303u, .capabilities = 0x801f};
    copy_bytes(facts.device_id, ID, sizeof ID);
    copy_bytes(facts.name, NAME, sizeof NAME);
    kept = (struct kept_clock){0};
    fake_air = (struct air){.kind = AIR_NOTHING};
    chance = 0;
    fake_power = -1;
    fake_weak = false;
    fake_worn = false;
    fake_reset_asked = false;
}

void fake_decay(void) {
    for (unsigned page = 0; page < 2; page++)
        for (unsigned i = 0; i < PAGE_WORDS; i++) {
            fake_flash[page][i] = (fake_flash[page][i] | fading[page][i]) & shadow[page][i];
            shadow[page][i] = 0xffffffffu;
            fading[page][i] = 0;
        }
}

void fake_restart(enum reset_reason reason) {
    facts.boot_id++;
    facts.reset_reason = reason;
    if (reason == RESET_POWER) kept = (struct kept_clock){.check = 1};
    fake_air = (struct air){.kind = AIR_NOTHING};
    fake_power = -1;
    fake_reset_asked = false;
    line = (struct frame_decoder){0};
    millis += 12345; /* since when it counts is nobody's business */
}

void fake_pass(uint32_t ms) { millis += ms; }

const struct board_facts *board_facts(void) { return &facts; }
struct kept_clock *board_kept_clock(void) { return &kept; }
uint32_t board_millis(void) { return millis; }
uint32_t board_lost_bytes(void) { return 0; }
uint16_t board_battery_mv(void) { return 3000; }
int8_t board_tx_level(int8_t dbm) { return dbm; }
int8_t board_calibrated(int8_t tx_level) { return tx_level; }
void board_advertise(const struct air *air) { fake_air = *air; }
struct radio_counters board_radio_counters(void) { return (struct radio_counters){0, 0}; }
void board_reset(void) { fake_reset_asked = true; }

void board_random(uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ++chance;
}

void board_send(const uint8_t *wire, size_t n) {
    struct frame frame;
    for (size_t i = 0; i < n; i++) {
        uint32_t damaged = line.damaged;
        bool whole = frame_decode(&line, wire[i], &frame);
        fake_sent_damaged += line.damaged - damaged;
        if (!whole || fake_sent_count == FAKE_SENT_MAX) continue;
        struct fake_sent *sent = &fake_sent[fake_sent_count++];
        sent->bytes[0] = frame.type;
        sent->bytes[1] = frame.seq;
        copy_bytes(sent->bytes + 2, frame.payload, frame.length);
        sent->length = (uint8_t)(frame.length + 2u);
    }
}

uint32_t board_flash_read(unsigned page, uint32_t offset) { return fake_flash[page][offset / 4]; }

/* Share of the bits that change before the power is gone: none, some, all. */
static uint32_t powered_bits(void) {
    if (fake_power < 0) return 0xffffffffu;
    if (fake_power == 0) return 0;
    return --fake_power == 0 ? 0x0ff0a55au : 0xffffffffu;
}

void board_flash_write(unsigned page, uint32_t offset, uint32_t word) {
    if (fake_power != 0) fading[page][offset / 4] &= word;
    if (fake_weak && fake_power == 1) {
        fake_power = 0;
        fading[page][offset / 4] |= fake_flash[page][offset / 4] & ~word & 0x0ff0a55au;
        fake_flash[page][offset / 4] &= word;
        return;
    }
    fake_flash[page][offset / 4] &= word | ~powered_bits();
}

void board_flash_erase(unsigned page) {
    bool weak = fake_weak && fake_power == 1;
    if (fake_worn) return;
    for (unsigned i = 0; i < PAGE_WORDS && fake_power != 0; i++) {
        shadow[page][i] = weak ? fake_flash[page][i] | 0x5a0ff0a5u : 0xffffffffu;
        fading[page][i] = 0;
        if (weak) fake_flash[page][i] = 0xffffffffu;
    }
    if (weak) {
        fake_power = 0;
        return;
    }
    for (unsigned i = 0; i < FLASH_PAGE_BYTES / 4; i++) {
        /* An erase that is cut off: its first half is erased, its second half in part. */
        uint32_t bits = i == 0 || fake_power < 0 ? powered_bits() : fake_power == 0 ? 0x5a0ff0a5u : 0xffffffffu;
        if (i == 0 && bits == 0) return;
        fake_flash[page][i] |= bits;
    }
}
