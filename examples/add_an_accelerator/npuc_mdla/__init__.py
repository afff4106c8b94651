"""An npuc accelerator that keeps weights in 8 bits and computes in float32."""
