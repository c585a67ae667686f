/* Settings and clock checkpoints in flash: at any moment the old ones or the new ones, never neither (COMPANION.md 5, 6). */
#ifndef RDV_SETTINGS_H
#define RDV_SETTINGS_H
#include <stdbool.h>
#include <stdint.h>

#include "advert.h"

#define LABEL_BYTES 8u

enum { SETTING_RESUME = 1u << 0, SETTING_STOPPED = 1u << 7 };

struct settings {
    uint32_t number; /* of times written since they were erased; 0: nothing is provisioned */
    uint16_t interval_ms;
    uint8_t flags;
    uint8_t exponent;
    uint8_t format;
    int8_t tx_dbm;
    int8_t calibrated_dbm;
    uint8_t key[BEACON_KEY_BYTES];
    uint8_t label[LABEL_BYTES];
};

struct checkpoint {
    uint32_t seconds; /* 0: none */
    int16_t rate;
};

/* The newest that is whole, or number 0. Clears up what a loss of power has left. */
void settings_load(struct settings *settings, struct checkpoint *checkpoint);

/* False: not written, and the flash still holds what it did. */
bool settings_store(const struct settings *settings, const struct checkpoint *checkpoint);

/* Appends a checkpoint to the settings that are stored. */
bool checkpoint_store(const struct settings *settings, const struct checkpoint *checkpoint);

/* True when nothing is left. */
bool settings_erase(void);
#endif
