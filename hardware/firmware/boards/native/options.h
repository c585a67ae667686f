/* Command line of the native board. */
#ifndef RDV_NATIVE_OPTIONS_H
#define RDV_NATIVE_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *flash; /* file that holds the flash, or NULL: lost at the end */
    uint32_t noise;    /* faults per million bytes, each way */
    uint32_t seed;     /* of the noise */
    uint32_t speed;    /* board time runs so many times faster */
    int32_t cut;       /* power fails in this flash operation, counted from 1; 0: never */
    bool release;      /* no ADVANCE */
};

/* Prints what is wrong and exits with 2. */
struct options options_parse(int argc, char **argv);
#endif
