/* fake_aws --port P --scenario FILE: the AWS double as a program. See README.md. */
#include "fakes/fake_aws_server.h"
#include "fakes/fake_program.h"

#include <stdio.h>

int main(int argc, char **argv) {
    struct fake_program program;
    struct err err = ERR_NONE;
    if (!fake_program_options(argc, argv, false, &program)) {
        return 2;
    }
    struct fake_aws_server *server = fake_aws_server_new(program.port, program.scenario, &err);
    if (server == NULL) {
        (void)fprintf(stderr, "fake_aws: %s\n", err.text);
        return 1;
    }
    (void)printf("listening on 127.0.0.1:%u\n", fake_aws_server_port(server));
    (void)fflush(stdout);
    fake_program_wait();
    fake_aws_server_free(server);
    return 0;
}
