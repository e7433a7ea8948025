#include "recorder/cli/commands.h"

int main(int argc, char **argv)
{
    /* Without an argv[0] there are no words either. */
    return cli_main(argc > 0 ? argc : 1, argv);
}
