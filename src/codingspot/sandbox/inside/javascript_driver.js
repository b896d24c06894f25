// Runs a JavaScript candidate and its test in one function scope, as Node runs a file, and reports the verdict.
// The job, with the secret that makes a report valid, comes on standard input and is gone before the candidate runs;
// the candidate's scope is not this one, so it can't see the secret.
"use strict";
(() => {
  const fs = require("fs");
  const vm = require("vm");
  const { AssertionError } = require("assert");
  const { writeSync } = fs;

  const job = JSON.parse(fs.readFileSync(0, "utf8"));
  fs.closeSync(0);
  fs.openSync("/dev/null", "r");

  let reported = false;
  const report = (verdict, detail) => {
    if (reported) return;
    reported = true;
    writeSync(job.descriptor, `${job.secret}\n${verdict}\n${detail}`);
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

  // A candidate can return from the file's scope, so the end is what a last line after the test says.
  const finish = `finish_${job.secret}`;
  let finished = false;
  const module = { exports: {} };
  const scope = {
    exports: module.exports,
    require,
    module,
    __filename: "/tmp/solution.js",
    __dirname: "/tmp",
    [finish]: () => {
      finished = true;
    },
  };
  const compile = (source) => vm.compileFunction(source, Object.keys(scope), { filename: "solution.js" });

  try {
    compile(job.source);
  } catch (error) {
    report(error instanceof SyntaxError ? "syntax error" : "exception", String(error));
    return;
  }

  process.on("uncaughtException", (error) => {
    judge(error);
    process.exit(1);
  });
  process.on("exit", (code) => {
    if (finished && code === 0) report("passed", "");
  });
  try {
    compile(`${job.source}\n${job.test}\n;${finish}();`).apply(module.exports, Object.values(scope));
  } catch (error) {
    judge(error);
    process.exit(1);
  }
})();
