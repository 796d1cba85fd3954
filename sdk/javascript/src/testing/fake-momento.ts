import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { DisposableToken } from "../api/token-service";

export interface SubscribeRequest {
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
  answer: ServerResponse;
  /** Resolves once the client has closed the connection. */
  closed: Promise<unknown>;
}

/** Momento's HTTP endpoint, whose answers the test writes. */
export class FakeMomento {
  readonly requests: SubscribeRequest[] = [];
  readonly #server: Server;
  readonly #waiting: ((request: SubscribeRequest) => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request: IncomingMessage, answer: ServerResponse) => void this.#onRequest(request, answer));
  }

  static async start(): Promise<FakeMomento> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new FakeMomento(server);
  }

  get token(): DisposableToken {
    const cacheEndpoint = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return disposableToken({ cacheEndpoint, controlEndpoint: cacheEndpoint, tokenEndpoint: cacheEndpoint });
  }

  /** The next request to arrive. */
  next(): Promise<SubscribeRequest> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #onRequest(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const closed = once(answer, "close");
    const received = { url: request.url ?? "", headers: request.headers, body, answer, closed };
    this.requests.push(received);
    this.#waiting.shift()?.(received);
  }
}

export const STREAM_HEADERS = { "content-type": "application/grpc-web-text+proto" };

/** A token as the token service gives it. */
export function disposableToken(endpointOverrides?: DisposableToken["endpointOverrides"]): DisposableToken {
  const token = btoa(JSON.stringify({ endpoint: "cell.momento.test", api_key: "key" }));
  return { token, cacheName: "cache", topic: "alice", expiresAt: 0, ...(endpointOverrides && { endpointOverrides }) };
}
