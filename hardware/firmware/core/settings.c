/* The log in flash.
 *
 * Two pages of slots of 16 bytes. Slot 0 is the header: a sequence number and its complement, written last, which makes the
 * page count; of two that count, the higher. Then the settings, three slots, and one slot for each checkpoint. Settings
 * go to the other page always, and a full page moves there too; then the old page is erased, so that no old key stays.
 * An erase that is cut off can only set bits, and no header with more bits set is valid: the complement would not fit.
 * What is cut off at its very end may read well now and fade later. So a page is always erased before it is written, and a
 * header that is found beside an old page that is still there is written once more, before that page goes. */
#include "settings.h"

#include "board.h"
#include "bytes.h"
#include "crc.h"

#define SLOT 16u
#define RECORD_MAX 48u
#define KIND_SETTINGS 0x53u
#define KIND_CHECKPOINT 0x43u
#define RECORD_VERSION 1u
#define BLANK 0xffffffffu
#define NO_PAGE 2u

static uint32_t sequence_of(unsigned page) {
    uint32_t sequence = board_flash_read(page, 0);
    return sequence == ~board_flash_read(page, 4) ? sequence : 0;
}

static void write_header(unsigned page, uint32_t sequence) {
    board_flash_write(page, 0, sequence);
    board_flash_write(page, 4, ~sequence);
}

static unsigned active_page(void) {
    uint32_t first = sequence_of(0);
    uint32_t second = sequence_of(1);
    if (first == 0 && second == 0) return NO_PAGE;
    return second > first ? 1u : 0u;
}

static bool is_blank(unsigned page, uint32_t from, uint32_t to) {
    for (uint32_t at = from; at < to; at += 4)
        if (board_flash_read(page, at) != BLANK) return false;
    return true;
}

static bool erase(unsigned page) {
    if (!is_blank(page, 0, FLASH_PAGE_BYTES)) board_flash_erase(page);
    return is_blank(page, 0, FLASH_PAGE_BYTES);
}

/* Nothing can be read out of the page afterwards: where it cannot be erased any more, it is written over. */
static bool clear(unsigned page) {
    if (erase(page)) return true;
    bool cleared = true;
    for (uint32_t at = 0; at < FLASH_PAGE_BYTES; at += 4) {
        board_flash_write(page, at, 0);
        cleared = board_flash_read(page, at) == 0 && cleared;
    }
    return cleared;
}

static void read_record(unsigned page, uint32_t offset, uint8_t *record, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 4) put32(record + i, board_flash_read(page, offset + i));
}

static bool write_record(unsigned page, uint32_t offset, uint8_t *record, uint32_t n) {
    put16(record + n - 2, crc16(record, n - 2));
    for (uint32_t i = 0; i < n; i += 4) board_flash_write(page, offset + i, get32(record + i));
    for (uint32_t i = 0; i < n; i += 4)
        if (board_flash_read(page, offset + i) != get32(record + i)) return false;
    return true;
}

/* Length of the record at `offset` if it is whole, else 0. */
static uint32_t whole_record(unsigned page, uint32_t offset, uint8_t record[RECORD_MAX]) {
    if (offset + SLOT > FLASH_PAGE_BYTES) return 0;
    read_record(page, offset, record, SLOT);
    uint32_t n = record[0] == KIND_SETTINGS ? RECORD_MAX : record[0] == KIND_CHECKPOINT ? SLOT : 0;
    if (n == 0 || record[1] != RECORD_VERSION || offset + n > FLASH_PAGE_BYTES) return 0;
    read_record(page, offset, record, n);
    return crc16(record, n - 2) == get16(record + n - 2) ? n : 0;
}

static void encode_settings(const struct settings *s, const struct checkpoint *c, uint8_t record[RECORD_MAX]) {
    clear_bytes(record, RECORD_MAX);
    record[0] = KIND_SETTINGS;
    record[1] = RECORD_VERSION;
    record[2] = s->flags;
    record[3] = s->exponent;
    record[4] = s->format;
    record[5] = (uint8_t)s->tx_dbm;
    record[6] = (uint8_t)s->calibrated_dbm;
    put16(record + 8, s->interval_ms);
    put16(record + 10, (uint16_t)c->rate);
    put32(record + 12, c->seconds);
    copy_bytes(record + 16, s->key, BEACON_KEY_BYTES);
    copy_bytes(record + 32, s->label, LABEL_BYTES);
    put32(record + 40, s->number);
}

static void decode_settings(const uint8_t record[RECORD_MAX], struct settings *s, struct checkpoint *c) {
    s->flags = record[2];
    s->exponent = record[3];
    s->format = record[4];
    s->tx_dbm = (int8_t)record[5];
    s->calibrated_dbm = (int8_t)record[6];
    s->interval_ms = get16(record + 8);
    c->rate = (int16_t)get16(record + 10);
    c->seconds = get32(record + 12);
    copy_bytes(s->key, record + 16, BEACON_KEY_BYTES);
    copy_bytes(s->label, record + 32, LABEL_BYTES);
    s->number = get32(record + 40);
}

void settings_load(struct settings *settings, struct checkpoint *checkpoint) {
    uint8_t record[RECORD_MAX];
    unsigned page = active_page();
    *settings = (struct settings){0};
    *checkpoint = (struct checkpoint){0};
    for (uint32_t offset = SLOT; page != NO_PAGE && offset < FLASH_PAGE_BYTES;) {
        uint32_t n = whole_record(page, offset, record);
        if (n == RECORD_MAX) {
            decode_settings(record, settings, checkpoint);
        } else if (n == SLOT && settings->number != 0) {
            checkpoint->rate = (int16_t)get16(record + 2);
            checkpoint->seconds = get32(record + 4);
        }
        offset += n == 0 ? SLOT : n;
    }
    wipe_bytes(record, sizeof record);
    if (page != NO_PAGE && settings->number != 0 && !is_blank(1u - page, 0, FLASH_PAGE_BYTES))
        write_header(page, sequence_of(page));
    for (unsigned i = 0; i < 2; i++)
        if (i != page || settings->number == 0) (void)clear(i);
}

bool settings_store(const struct settings *settings, const struct checkpoint *checkpoint) {
    uint8_t record[RECORD_MAX];
    unsigned old = active_page();
    unsigned page = old == 0 ? 1u : 0u;
    uint32_t sequence = old == NO_PAGE ? 1u : sequence_of(old) + 1u;
    encode_settings(settings, checkpoint, record);
    board_flash_erase(page);
    bool written = is_blank(page, 0, FLASH_PAGE_BYTES) && write_record(page, SLOT, record, RECORD_MAX);
    wipe_bytes(record, sizeof record);
    if (written) {
        write_header(page, sequence);
        written = sequence_of(page) == sequence;
    }
    if (!written) {
        (void)clear(page);
        return false;
    }
    if (old != NO_PAGE) (void)clear(old);
    return true;
}

bool checkpoint_store(const struct settings *settings, const struct checkpoint *checkpoint) {
    uint8_t record[SLOT] = {KIND_CHECKPOINT, RECORD_VERSION};
    unsigned page = active_page();
    if (page == NO_PAGE) return false;
    uint32_t offset = FLASH_PAGE_BYTES;
    while (offset > SLOT && is_blank(page, offset - SLOT, offset)) offset -= SLOT;
    if (offset == FLASH_PAGE_BYTES) return settings_store(settings, checkpoint);
    put16(record + 2, (uint16_t)checkpoint->rate);
    put32(record + 4, checkpoint->seconds);
    return write_record(page, offset, record, SLOT);
}

bool settings_erase(void) {
    unsigned page = active_page();
    bool erased = true;
    /* The page that does not count first: a cut in between must not bring it back. */
    if (page != NO_PAGE) erased = clear(1u - page);
    for (unsigned i = 0; i < 2; i++) erased = clear(i) && erased;
    return erased;
}
