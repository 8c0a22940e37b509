# The target d2p_version keeps version.h (D2P_VERSION, D2P_COMMIT) in the build folder up to date. It looks at HEAD in
# every build, which takes milliseconds, and writes only a change. This file is both its definition and its script.

if(CMAKE_SCRIPT_MODE_FILE)
    execute_process(COMMAND git rev-parse --short=12 HEAD
        WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
    if(failed)
        set(commit unknown)
    endif()
    # Where the source is without its history.
    if(NOT "$ENV{DDB2PULSAR_COMMIT}" STREQUAL "")
        set(commit $ENV{DDB2PULSAR_COMMIT})
    endif()
    file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define D2P_VERSION \"${VERSION}\"\n#define D2P_COMMIT \"${commit}\"\n")
    return()
endif()

set(version_folder ${PROJECT_BINARY_DIR}/version)
add_custom_target(d2p_version
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
        -DHEADER=${version_folder}/version.h -P ${CMAKE_CURRENT_LIST_FILE}
    BYPRODUCTS ${version_folder}/version.h
    COMMENT "" VERBATIM)
include_directories(${version_folder})
