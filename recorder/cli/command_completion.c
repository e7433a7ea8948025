/* Completion scripts, made from the tables: an option that exists is offered, and no other. */
#include <stdio.h>
#include <string.h>

#include "recorder/cli/commands.h"

static const struct cli_option no_options[] = {{0}};

/* Each word once: the first words of all commands. */
static void print_first_words(const char *separator)
{
    for (int i = 0; cli_groups[i].name; i++)
        printf("%s%s", cli_groups[i].name, separator);
    for (int i = 0; cli_commands[i]; i++)
        if (!strchr(cli_commands[i]->name, ' '))
            printf("%s%s", cli_commands[i]->name, separator);
}

static void print_options(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name; o++)
        printf("--%s ", o->name);
}

/* Values that an option's argument spells out, "on|off", as words. */
static void print_choices(const char *argument)
{
    for (const char *p = argument; *p; p++)
        putchar(*p == '|' ? ' ' : *p);
}

static void print_value_cases(const struct cli_command *command)
{
    for (const struct cli_option *o = command->options; o->name; o++) {
        if (!o->argument || !strchr(o->argument, '|'))
            continue;
        printf("        '%s '--%s) words='", command->name, o->name);
        print_choices(o->argument);
        printf("' ;;\n");
    }
}

static void print_file_options(const struct cli_option *options, const char *separator)
{
    for (const struct cli_option *o = options; o->name; o++)
        if (o->argument && (strcmp(o->argument, "FILE") == 0 || strcmp(o->argument, "DIR") == 0))
            printf("%s--%s", separator, o->name);
}

static void print_bash(void)
{
    printf("# Completion of castbucket for bash: castbucket completion bash\n"
           "_castbucket() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local command=${COMP_WORDS[1]} words=\n"
           "    if ((COMP_CWORD == 1)); then\n"
           "        words='");
    print_first_words(" ");
    printf("--help --version'\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
           "        return\n"
           "    fi\n");
    for (int i = 0; cli_groups[i].name; i++) {
        size_t skip = strlen(cli_groups[i].name) + 1;
        printf("    if [[ $command == %s ]]; then\n"
               "        if ((COMP_CWORD == 2)); then\n"
               "            words='",
               cli_groups[i].name);
        for (int k = 0; cli_commands[k]; k++)
            if (cli_in_group(cli_commands[k], cli_groups[i].name))
                printf("%s ", cli_commands[k]->name + skip);
        printf("--help'\n"
               "            COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
               "            return\n"
               "        fi\n"
               "        command+=\" ${COMP_WORDS[2]}\"\n"
               "    fi\n");
    }
    printf("    case $previous in\n    ");
    print_file_options(cli_common_options, "");
    for (int i = 0; cli_commands[i]; i++)
        print_file_options(cli_commands[i]->options, "|");
    printf(")\n"
           "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
           "        return ;;\n"
           "    esac\n"
           "    case \"$command $previous\" in\n");
    for (int i = 0; cli_commands[i]; i++)
        print_value_cases(cli_commands[i]);
    printf("    esac\n"
           "    if [[ -z $words ]]; then\n"
           "        case $command in\n");
    for (int i = 0; cli_commands[i]; i++) {
        printf("        '%s') words='", cli_commands[i]->name);
        print_options(cli_commands[i]->options);
        print_options(cli_common_options);
        printf("' ;;\n");
    }
    printf("        esac\n"
           "    fi\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
           "    if [[ ${#COMPREPLY[@]} == 0 && $current != -* ]]; then\n"
           "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
           "    fi\n"
           "}\n"
           "complete -o filenames -F _castbucket castbucket\n");
}

/* Text between single quotes, with a backslash before what _arguments would take for its own. */
static void print_quoted(const char *text, const char *special)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            fputs("'\\''", stdout);
        else if (strchr(special, *p))
            printf("\\%c", *p);
        else
            putchar(*p == '\n' ? ' ' : *p);
    }
}

static void print_zsh_value(const char *argument)
{
    putchar(':');
    print_quoted(argument, ":[]");
    putchar(':');
    if (strchr(argument, '|')) {
        putchar('(');
        print_choices(argument);
        putchar(')');
    } else if (strcmp(argument, "FILE") == 0 || strcmp(argument, "ID") == 0) {
        printf("_files");
    } else if (strcmp(argument, "DIR") == 0) {
        printf("_files -/");
    } else {
        putchar(' '); /* nothing to offer, but a name to show */
    }
}

static void print_zsh_options(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name; o++) {
        printf(" \\\n            ");
        if (o->letter)
            printf("'(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name, o->letter,
                   o->argument ? "+" : "", o->name, o->argument ? "=" : "");
        else
            printf("'--%s%s[", o->name, o->argument ? "=" : "");
        print_quoted(o->help, ":[]");
        putchar(']');
        if (o->argument)
            print_zsh_value(o->argument);
        putchar('\'');
    }
}

static void print_zsh_choice(const char *name, const char *summary)
{
    printf("            '%s:", name);
    print_quoted(summary, "");
    printf("'\n");
}

static void print_zsh_group(const struct cli_group *group)
{
    size_t skip = strlen(group->name) + 1;
    printf("    if [[ $command == %s ]]; then\n"
           "        if ((CURRENT == 2)); then\n"
           "            choices=(\n",
           group->name);
    for (int k = 0; cli_commands[k]; k++)
        if (cli_in_group(cli_commands[k], group->name))
            print_zsh_choice(cli_commands[k]->name + skip, cli_commands[k]->summary);
    printf("            )\n"
           "            _describe command choices\n"
           "            return\n"
           "        fi\n"
           "        command+=\" $words[2]\"\n"
           "        shift words; ((CURRENT--))\n"
           "    fi\n");
}

static void print_zsh(void)
{
    printf("#compdef castbucket\n"
           "# Completion of castbucket for zsh: castbucket completion zsh\n"
           "_castbucket() {\n"
           "    local -a choices\n"
           "    local command=$words[2]\n"
           "    if ((CURRENT == 2)); then\n"
           "        choices=(\n");
    for (int i = 0; cli_groups[i].name; i++)
        print_zsh_choice(cli_groups[i].name, cli_groups[i].summary);
    for (int i = 0; cli_commands[i]; i++)
        if (!strchr(cli_commands[i]->name, ' '))
            print_zsh_choice(cli_commands[i]->name, cli_commands[i]->summary);
    printf("            --help --version\n"
           "        )\n"
           "        _describe command choices\n"
           "        return\n"
           "    fi\n"
           "    shift words; ((CURRENT--))\n");
    for (int i = 0; cli_groups[i].name; i++)
        print_zsh_group(&cli_groups[i]);
    printf("    case $command in\n");
    for (int i = 0; cli_commands[i]; i++) {
        const char *operands = cli_commands[i]->operands;
        printf("    '%s')\n        _arguments -s", cli_commands[i]->name);
        print_zsh_options(cli_commands[i]->options);
        print_zsh_options(cli_common_options);
        if (*operands) {
            printf(" \\\n            '1");
            print_zsh_value(operands);
            putchar('\'');
        }
        printf(" ;;\n");
    }
    printf("    esac\n"
           "}\n"
           "if (($+functions[compdef])); then compdef _castbucket castbucket; fi\n");
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc >= 0)
        return rc;
    if (strcmp(arguments.operand[0], "bash") == 0)
        print_bash();
    else if (strcmp(arguments.operand[0], "zsh") == 0)
        print_zsh();
    else
        return cli_usage_error(command, "'%s' is not one of bash|zsh", arguments.operand[0]);
    return CLI_OK;
}

const struct cli_command cli_completion = {
    "completion",
    "bash|zsh",
    "Prints a completion script for a shell.",
    "In .bashrc: source <(castbucket completion bash). In .zshrc, after compinit: "
    "source <(castbucket completion zsh).",
    no_options,
    run,
};
