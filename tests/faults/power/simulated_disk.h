/* A disk that has at any time only what it was asked to have: what lies under a directory, as it
 * would be found after the power was cut.
 *
 * The program is linked with --wrap for the calls that sync and that change names (Makefile), and
 * tells this part of each before it happens. It keeps, for each file, the bytes as they were at its
 * last sync, and for each directory which version of all names its last sync was about. Stores
 * into mappings need no call: a file's present bytes are read where they are. */
#ifndef CASTBUCKET_TESTS_FAULTS_SIMULATED_DISK_H
#define CASTBUCKET_TESTS_FAULTS_SIMULATED_DISK_H

/* What of the rest, which was not asked for, is on disk all the same. */
enum disk_luck {
    DISK_NOTHING, /* of names and bytes */
    /* File systems that write their journal before data: names, sizes and holes are those of now,
     * and bytes that were not synced are zero. */
    DISK_NAMES_BEFORE_BYTES,
    DISK_ANYTHING, /* names up to any moment, and any pages of any file */
    DISK_LUCKS,
};

/* From now on; all that is under `root` at this moment is on disk. `before` is called before each
 * call that syncs or changes names, one at a time, with the call's name; it may make images. */
void disk_begin(const char *root, void (*before)(const char *call));

/* Writes what is on disk to a new directory. `dice` is advanced. */
void disk_image(const char *target, enum disk_luck luck, unsigned *dice);

void disk_end(void);

/* How often a file got a name that says it is whole (by rename) before its bytes were synced. */
unsigned disk_early_renames(void);

#endif
