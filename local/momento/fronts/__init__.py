"""How clients reach the emulator: gRPC, gRPC-web and the admin calls over HTTP. What a call does belongs to `calls`."""
