// Loaded before the proxy: it would follow GitHub's redirect to a zip itself, and what we test is that our client follows it.
const nodeFetch = require("node-fetch");
const follow = nodeFetch.default;
nodeFetch.default = (url, options) => follow(url, { ...options, redirect: "manual" });
