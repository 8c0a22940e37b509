# Finds the libraries: Debian's through pkg-config, the AWS Common Runtime and yyjson where scripts/setup put them.

# d2p_env(VARIABLE NAME): a value of scripts/env.
function(d2p_env variable name)
    execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/env ${name}
        OUTPUT_VARIABLE value OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    set(${variable} ${value} PARENT_SCOPE)
endfunction()
# The places depend on these files, so a change configures again.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/scripts/env ${PROJECT_SOURCE_DIR}/deps/build-crt ${PROJECT_SOURCE_DIR}/deps/awscrt.txt)

# Also for a project that has this one as a subdirectory.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)

# ---- The AWS Common Runtime, compiled with our sanitizer; but gcc's and clang's do not mix.
string(TOUPPER ${D2P_FLAVOUR} flavour)
if(D2P_FLAVOUR STREQUAL "fuzz")
    set(flavour RELEASE)
endif()
d2p_env(crt D2P_CRT_${flavour})
if(NOT crt STREQUAL "system")
    if(NOT EXISTS ${crt})
        message(FATAL_ERROR "The AWS Common Runtime is not there yet: please run scripts/setup crt ${D2P_FLAVOUR}")
    endif()
    list(PREPEND CMAKE_PREFIX_PATH ${crt})
endif()
# An existing build folder remembers the packages it found; after a change of the prefix it must look again.
set(crt_packages aws-c-auth aws-c-http aws-checksums aws-c-io aws-c-sdkutils aws-c-compression aws-c-cal aws-c-common s2n)
if(NOT crt STREQUAL D2P_CRT_FOUND_IN)
    foreach(package IN LISTS crt_packages)
        unset(${package}_DIR CACHE)
    endforeach()
    set(D2P_CRT_FOUND_IN ${crt} CACHE INTERNAL "")
endif()
# Both of s2n and aws-c-cal look for libcrypto; this makes s2n take the shared one too, as it was built.
set(S2N_USE_CRYPTO_SHARED_LIBS ON)
find_package(aws-c-auth REQUIRED)
find_package(aws-checksums REQUIRED)

# ---- Debian's.
find_package(OpenSSL REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(protobuf_c REQUIRED IMPORTED_TARGET GLOBAL libprotobuf-c)
pkg_check_modules(lz4 REQUIRED IMPORTED_TARGET GLOBAL liblz4)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET GLOBAL libzstd)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET GLOBAL yaml-0.1)
find_program(PROTOC_C protoc-c REQUIRED)
pkg_get_variable(PROTOBUF_C_INCLUDE libprotobuf-c includedir)
# Debian's snappy comes without a pkg-config file.
find_library(SNAPPY_LIBRARY snappy REQUIRED)
find_path(SNAPPY_INCLUDE snappy-c.h REQUIRED)
add_library(snappy INTERFACE)
target_link_libraries(snappy INTERFACE ${SNAPPY_LIBRARY})
target_include_directories(snappy SYSTEM INTERFACE ${SNAPPY_INCLUDE})

# HdrHistogram_c, for ddb2pulsar-perf. One file, compiled here.
if("perf" IN_LIST D2P_PARTS)
    d2p_env(hdr_histogram D2P_HDR_HISTOGRAM)
    if(NOT EXISTS ${hdr_histogram})
        message(FATAL_ERROR "HdrHistogram_c is not there yet: please run scripts/setup build")
    endif()
    add_library(d2p_hdr_histogram STATIC ${hdr_histogram}/hdr_histogram.c)
    target_include_directories(d2p_hdr_histogram SYSTEM PUBLIC ${hdr_histogram})
    target_compile_options(d2p_hdr_histogram PRIVATE -w)
    target_link_libraries(d2p_hdr_histogram PUBLIC m)
endif()

# ---- The tests': a machine that only builds the program need not have them.
pkg_check_modules(cmocka IMPORTED_TARGET cmocka)
d2p_env(yyjson D2P_YYJSON)
if(cmocka_FOUND AND EXISTS ${yyjson})
    set(D2P_CAN_TEST ON)
    # One file, compiled here and so with our sanitizer.
    add_library(d2p_yyjson STATIC ${yyjson}/yyjson.c)
    target_include_directories(d2p_yyjson SYSTEM PUBLIC ${yyjson})
    target_compile_options(d2p_yyjson PRIVATE -w)
endif()
