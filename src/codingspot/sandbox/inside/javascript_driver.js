// Runs a JavaScript candidate and its test as two scripts of one global scope, and reports the verdict.
// Nothing of this file's scope is handed to them, and they hold no reference to it; the secret that makes a report
// valid comes only after the test's end.
"use strict";
(() => {
  const fs = require("fs");
  const vm = require("vm");
  const { AssertionError } = require("assert");
  const { readSync, writeSync } = fs;
  const answer = Buffer.alloc(64);
  const decode = answer.latin1Slice.bind(answer);

  const job = JSON.parse(fs.readFileSync(0, "utf8"));
  fs.closeSync(0);
  fs.openSync("/dev/null", "r");

  let reported = false;
  const report = (verdict, detail) => {
    if (reported) return;
    reported = true;
    writeSync(job.descriptor, `${job.finished}\n`);
    const secret = decode(0, readSync(job.descriptor, answer, 0, 64, null));
    writeSync(job.descriptor, `${secret}${verdict}\n${detail}`);
  };

  const judge = (error) => {
    const wrong = error instanceof AssertionError || (error && error.code === "ERR_ASSERTION");
    let text;
    try {
      text = String(error);
    } catch {
      text = "(an error that can't be shown)";
    }
    report(wrong ? "wrong answer" : "exception", text);
  };

  // Node's own console.assert only prints.
  console.assert = (condition, ...message) => {
    if (!condition) throw new AssertionError({ message: message.map(String).join(" ") || "console.assert" });
  };

  // What Node gives a file that it runs.
  const module = { exports: {} };
  const file = { exports: module.exports, require, module, __filename: "/tmp/solution.js", __dirname: "/tmp" };
  Object.assign(globalThis, file);

  try {
    vm.compileFunction(job.source, Object.keys(file), { filename: "solution.js" });
  } catch (error) {
    report(error instanceof SyntaxError ? "syntax error" : "exception", String(error));
    return;
  }

  let finished = false;
  process.on("uncaughtException", (error) => {
    judge(error);
    process.exit(1);
  });
  // Nothing is left to wait for: an asynchronous test is over too, which can't be said of every exit.
  process.on("beforeExit", (code) => {
    if (finished && code === 0) report("passed", "");
  });
  try {
    vm.runInThisContext(job.source, { filename: "solution.js" });
    vm.runInThisContext(job.test, { filename: "test.js" });
    finished = true;
  } catch (error) {
    judge(error);
    process.exit(1);
  }
})();
