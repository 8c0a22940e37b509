/* ddb2pulsar: DynamoDB change streams into Apache Pulsar. */

#include "cli/command.h"
#include "cli/signals.h"

int main(int argc, char **argv) {
    signals_ignore_pipe();
    return command_main(argc, argv);
}
