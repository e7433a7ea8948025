/* The proxy's command line. */
#ifndef CASTBUCKET_PROXY_OPTIONS_H
#define CASTBUCKET_PROXY_OPTIONS_H

enum mode {
    MODE_SERVE,
    MODE_TEST,  /* -t: check and say so */
    MODE_CHECK, /* the rest are children of the first; see child.h */
    MODE_RECORDER,
    MODE_CONNECTION,
};

struct options {
    enum mode mode;
    const char *config;
};

/* Exit codes, also in --help. */
#define EXIT_RUNTIME 1 /* failed while running */
#define EXIT_USAGE 2   /* wrong options or configuration */

/* Returns -1 to go on, or the exit code (--help, --version, an error that was printed). */
int options_parse(struct options *options, int argc, char **argv);

#endif
