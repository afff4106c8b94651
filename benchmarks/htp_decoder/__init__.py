"""Parts of the benchmark `htp_decoder_4b`."""
