/*
 * certificates: a certificate authority for tests that speak TLS. Files are PEM, in a folder of
 * their own; whatever fails, fails the test.
 */
#ifndef TESTS_CERTIFICATES_H
#define TESTS_CERTIFICATES_H

struct certificates {
    char folder[64];
    char ca[128];     /* of those below */
    char server[128]; /* for 127.0.0.1 and localhost */
    char server_key[128];
    char elsewhere[128]; /* for other.example */
    char elsewhere_key[128];
    char client[128]; /* common name "client" */
    char client_key[128];
    char stranger[128]; /* another authority's, that signed nothing here */
};

void certificates_make(struct certificates *certificates);
/* Removes the files. */
void certificates_remove(const struct certificates *certificates);

#endif
