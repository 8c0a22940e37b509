# Between installing into CPack's folder and making the package: what Debian wants to see compressed, and its own
# changelog. CPack runs this and says where the folder is.
set(share ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share)
set(docs ${share}/doc/ddb2pulsar)

string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, when that is set
file(WRITE ${docs}/changelog.Debian
    "ddb2pulsar (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n"
    " -- ${CPACK_PACKAGE_CONTACT}  ${now}\n")
file(RENAME ${docs}/CHANGELOG.md ${docs}/changelog)

file(GLOB pages ${share}/man/man*/*)
execute_process(COMMAND gzip -9n ${pages} ${docs}/changelog ${docs}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
