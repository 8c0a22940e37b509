# The fuzz targets: one program each, which libFuzzer drives. Included by the flavour `fuzz` only.

add_custom_target(fuzz)

# d2p_fuzz(NAME TARGET...): tests/fuzz/NAME.c, linked with what it tests.
function(d2p_fuzz name)
    d2p_program(${name} tests/fuzz/${name}.c fuzz ${ARGN})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz ${name})
endfunction()

d2p_fuzz(fuzz_frame d2p_pulsar)
d2p_fuzz(fuzz_address d2p_pulsar)
d2p_fuzz(fuzz_http_url d2p_base)
d2p_fuzz(fuzz_topic d2p_pulsar)
d2p_fuzz(fuzz_pipe_frame d2p_sink)
d2p_fuzz(fuzz_broker d2p_pulsar)
d2p_fuzz(fuzz_record d2p_source)
d2p_fuzz(fuzz_lease d2p_source)
d2p_fuzz(fuzz_config d2p_config)
d2p_fuzz(fuzz_words d2p_monitor d2p_config d2p_source d2p_aws)
d2p_fuzz(fuzz_aws_reply d2p_aws)
