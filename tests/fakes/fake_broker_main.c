/* fake_broker --port P --control P --scenario FILE: the broker double as a program (README.md). */
#include "fakes/fake_broker.h"
#include "fakes/fake_program.h"

#include <stdio.h>

int main(int argc, char **argv) {
    struct fake_program program;
    struct err err = ERR_NONE;
    if (!fake_program_options(argc, argv, true, &program)) {
        return 2;
    }
    struct fake_broker_options options = {
        .port = program.port, .control_port = program.control, .scenario = program.scenario};
    struct fake_broker *broker = fake_broker_new(&options, &err);
    if (broker == NULL) {
        (void)fprintf(stderr, "fake_broker: %s\n", err.text);
        return 1;
    }
    (void)printf("listening on 127.0.0.1:%u\n", fake_broker_port(broker, 0));
    if (fake_broker_tls_port(broker, 0) != 0) {
        (void)printf("tls on 127.0.0.1:%u\n", fake_broker_tls_port(broker, 0));
    }
    (void)printf("control on 127.0.0.1:%u\n", fake_broker_control_port(broker));
    (void)fflush(stdout);
    fake_program_wait();
    fake_broker_free(broker);
    return 0;
}
