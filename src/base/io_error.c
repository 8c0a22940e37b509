#include "base/io_error.h"

#include <aws/common/error.h>
#include <aws/io/io.h>

const char *io_error_text(int error) {
    switch (error) {
    case AWS_IO_SOCKET_CONNECTION_REFUSED:
        return "connection refused";
    case AWS_IO_SOCKET_TIMEOUT:
        return "no answer to the attempt to connect";
    case AWS_IO_SOCKET_NO_ROUTE_TO_HOST:
        return "no route to the host";
    case AWS_IO_DNS_INVALID_NAME:
    case AWS_IO_DNS_NO_ADDRESS_FOR_HOST:
    case AWS_IO_DNS_QUERY_FAILED:
    case AWS_IO_DNS_QUERY_AGAIN:
    case AWS_IO_DNS_HOST_REMOVED_FROM_CACHE:
        return "the host name could not be resolved";
    case AWS_IO_SOCKET_CLOSED:
        return "closed by the other side";
    default:
        return aws_error_str(error);
    }
}
