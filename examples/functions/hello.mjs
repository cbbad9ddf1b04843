// A function: a program that serves HTTP on the port that it is given.
import { createServer } from "node:http";

const server = createServer((request, response) => {
	if (request.url === "/health") {
		response.end("ready\n");
		return;
	}
	const name = request.headers["x-kubefaas-params-name"] ?? "you";
	response.setHeader("Content-Type", "text/plain; charset=utf-8");
	response.end(`Hello from Node, ${name}!\n`);
});

// Longer than the router keeps a connection that nobody uses.
server.keepAliveTimeout = 120_000;
server.listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
