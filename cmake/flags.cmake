# How our own code is compiled: the target d2p_flags. What other people wrote gets the sanitizer only.

# Asserts stay in the release build: a broken invariant must stop the program, not lose records.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

add_library(d2p_flags INTERFACE)
target_include_directories(d2p_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(d2p_flags INTERFACE _GNU_SOURCE)
target_compile_options(d2p_flags INTERFACE
    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/= # asserts name their file; where it was built is nobody's business
    -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla)

if(D2P_FLAVOUR STREQUAL "release")
    target_compile_options(d2p_flags INTERFACE -fstack-protector-strong)
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        # It warns where nothing is optimised.
        target_compile_options(d2p_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    endif()
    target_link_options(d2p_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
elseif(D2P_FLAVOUR STREQUAL "asan")
    set(sanitizer -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(D2P_FLAVOUR STREQUAL "tsan")
    set(sanitizer -fsanitize=thread)
elseif(D2P_FLAVOUR STREQUAL "fuzz")
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "Fuzz targets want clang: cmake --preset fuzz")
    endif()
    set(sanitizer -fsanitize=address,undefined -fno-sanitize-recover=all)
    add_compile_options(-fsanitize=fuzzer-no-link)
else()
    message(FATAL_ERROR "D2P_FLAVOUR is '${D2P_FLAVOUR}'; it may be release, asan, tsan or fuzz")
endif()
if(sanitizer)
    add_compile_options(${sanitizer} -fno-omit-frame-pointer -O1)
    add_link_options(${sanitizer})
endif()
