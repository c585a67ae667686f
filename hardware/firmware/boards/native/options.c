/* Command line of the native board. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char USAGE[] =
    "native [--flash FILE] [--noise PPM] [--seed N] [--speed N] [--cut N] [--release]\n"
    "The beacon firmware on this machine, behind a pseudo-terminal. Prints JSON lines: {\"pty\":PATH} first, then {\"air\":…}\n"
    "whenever what it would send by radio changes. SIGUSR1 is the reset button; killing it is a loss of power.\n"
    "  --flash FILE   keeps the settings there, made if missing\n"
    "  --noise PPM    damages so many of a million bytes of the line, each way: flips, losses, insertions\n"
    "  --seed N       of the noise\n"
    "  --speed N      board time runs N times faster\n"
    "  --cut N        power fails in the middle of the Nth flash write or erase: exit code 9\n"
    "  --release      as sold: no ADVANCE\n";

static uint32_t number(const char *text, uint32_t max) {
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != 0 || value > max) {
        (void)fprintf(stderr, "native: expected a number of 0 to %u, got %s\n", max, text);
        exit(2);
    }
    return (uint32_t)value;
}

struct options options_parse(int argc, char **argv) {
    static const struct option LONG[] = {
        {"flash", required_argument, NULL, 'f'}, {"noise", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},  {"speed", required_argument, NULL, 'x'},
        {"cut", required_argument, NULL, 'c'},   {"release", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    struct options o = {.speed = 1, .seed = 1};
    for (int c; (c = getopt_long(argc, argv, "", LONG, NULL)) != -1;) {
        switch (c) {
        case 'f': o.flash = optarg; break;
        case 'n': o.noise = number(optarg, 1000000); break;
        case 's': o.seed = number(optarg, 0xffffffffu); break;
        case 'x': o.speed = number(optarg, 100000); break;
        case 'c': o.cut = (int32_t)number(optarg, 1000000); break;
        case 'r': o.release = true; break;
        case 'h': (void)fputs(USAGE, stdout); exit(0);
        default: (void)fputs(USAGE, stderr); exit(2);
        }
    }
    return o;
}
