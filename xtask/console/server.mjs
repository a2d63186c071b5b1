// Servers of this suite's own, over stores of their own, on loopback.

import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import readline from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
const PROGRAM = process.env.SUITE_WINDLASS;

/** A store in a directory, and the server over it. */
export class Ground {
  constructor(place, name) {
    this.place = path.join(place, name);
    fs.rmSync(this.place, { recursive: true, force: true });
    fs.mkdirSync(this.place, { recursive: true });
    this.address = "127.0.0.1:0";
  }

  async cli(...args) {
    const { stdout } = await run(PROGRAM, ["--store", "sqlite:./suite.db", "--json", ...args], { cwd: this.place, maxBuffer: 64 << 20 });
    return stdout;
  }

  /** The secret of a new key. */
  async key(...flags) {
    const told = await this.cli("key", "create", "the suite's", ...flags);
    return /wl_[0-9a-f_]+/.exec(told)[0];
  }

  /** Serves until it is ended; `command` is `serve`, or a replay that serves. */
  async serve(command = ["serve"], env = {}) {
    const args = ["--store", "sqlite:./suite.db", "--json", ...command, "--listen", this.address];
    const log = fs.openSync(path.join(this.place, "server.log"), "a");
    this.child = spawn(PROGRAM, args, { cwd: this.place, env: { ...process.env, WINDLASS__CACHE__STORE: "memory:", WINDLASS__AUDIT__DETAIL: "security", ...env }, stdio: ["ignore", "pipe", log] });
    const lines = readline.createInterface({ input: this.child.stdout });
    this.url = await new Promise((resolve, reject) => {
      lines.on("line", (line) => /http:\/\/[0-9.:]+/.test(line) && resolve(/http:\/\/[0-9.:]+/.exec(line)[0]));
      this.child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${fs.readFileSync(path.join(this.place, "server.log"), "utf8").slice(-600)}`)));
    });
    this.address = this.url.slice("http://".length);
    return this.url;
  }

  async end(signal = "SIGTERM") {
    if (!this.child || this.child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    await gone;
  }

  /** Asks the server; throws at a refusal unless `refusals` are wanted. */
  async ask(method, at, body, { key, type = "application/json", refusals = false } = {}) {
    const headers = {};
    if (key) headers.Authorization = `Bearer ${key}`;
    if (body !== undefined) headers["Content-Type"] = type;
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const answer = await fetch(this.url + at, { method, headers, body: text });
    const told = await answer.text();
    if (!answer.ok && !refusals) throw new Error(`${method} ${at}: ${answer.status} ${told.slice(0, 300)}`);
    const json = answer.headers.get("content-type")?.includes("json") && told ? JSON.parse(told) : told;
    return refusals ? { status: answer.status, body: json } : json;
  }
}

/** The bytes of an answer as they travel, packed if the server packs it. */
export function travelled(url) {
  return new Promise((resolve, reject) => {
    http.get(url, { headers: { "Accept-Encoding": "gzip" } }, (answer) => {
      let bytes = 0;
      answer.on("data", (chunk) => (bytes += chunk.length));
      answer.on("end", () => resolve({ bytes, status: answer.statusCode, coding: answer.headers["content-encoding"] ?? "none" }));
    }).on("error", reject);
  });
}
