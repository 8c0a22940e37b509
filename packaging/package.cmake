# What is installed beside the programs, and the Debian package of it all: `make deb`.
include(GNUInstallDirs)

set(docs ${CMAKE_INSTALL_DATADIR}/doc/ddb2pulsar)
install(FILES docs/ddb2pulsar.1 docs/ddb2pulsar-perf.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES docs/ddb2pulsar.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES docs/ddb2pulsar.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/ddb2pulsar)
install(FILES packaging/bash/ddb2pulsar DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES packaging/systemd/ddb2pulsar@.service DESTINATION lib/systemd/system)
install(DIRECTORY examples/ DESTINATION ${docs}/examples FILES_MATCHING PATTERN *.yaml PATTERN credentials_plugin.c)
install(FILES CHANGELOG.md packaging/debian/copyright DESTINATION ${docs})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ddb2pulsar)
set(CPACK_PACKAGE_CONTACT "the ddb2pulsar developers <ddb2pulsar@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "DynamoDB change streams into Apache Pulsar")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Reads the change stream of an Amazon DynamoDB table and sends every change to an
Apache Pulsar topic, at least once and in order for each item. Takes the
configuration of Pulsar's Java connector and shares its lease table.")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
# Libraries by what the programs are linked with; AWS's certificates are those of the system.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS bash-completion)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(debian ${PROJECT_SOURCE_DIR}/packaging/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/postinst ${debian}/prerm ${debian}/postrm)
set(CPACK_PRE_BUILD_SCRIPTS ${debian}/finish.cmake)
include(CPack)
