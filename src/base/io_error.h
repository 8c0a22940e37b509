/*
 * io_error: the CRT's errors of name resolution and sockets, in the words that our errors have for
 * them.
 */
#ifndef BASE_IO_ERROR_H
#define BASE_IO_ERROR_H

/* "connection refused"; for any other error of the CRT its own text. Static storage. */
const char *io_error_text(int error);

#endif
