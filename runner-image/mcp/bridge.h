/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_BRIDGE_H
#define MCP_BRIDGE_H

/*
 * `dispatch-runner mcp SOCKET`: what an agent starts as its MCP server. It carries bytes
 * between its standard input and output and the tool server's socket, knows nothing and holds
 * nothing: it runs inside the agent's sandbox.
 *
 * Returns once either side has ended: 0, or 2 when it can't reach the socket.
 */
int bridge_main(int argc, char **argv);
#endif
