'use strict';

exports.nested = {
  handler: async ({ name }) => `Hello, ${name}, from CommonJS`,
};
