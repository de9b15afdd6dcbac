'use strict';

let waited = 0;

/** The styles that came before promises, one for each word. */
exports.handler = (event, context, callback) => {
  switch (event.style) {
    case 'callback':
      return callback(null, { style: 'callback' });
    case 'callback-error':
      return callback(new TypeError('called back'));
    case 'callback-text':
      return callback('Unauthorized');
    case 'succeed':
      return context.succeed({ style: 'succeed' });
    case 'fail':
      return context.fail(new Error('failed'));
    case 'done':
      return context.done(null, { style: 'done' });
    case 'drained':
      return undefined;
    case 'wait':
      // By default the answer waits until nothing is left to do.
      setTimeout(() => {
        waited += 1;
      }, 50);
      return callback(null, { get waited() { return waited; } });
    case 'no-wait':
      context.callbackWaitsForEmptyEventLoop = false;
      setInterval(() => {}, 1000);
      return callback(null, { style: 'no-wait' });
    default:
      return callback(new Error(`unknown style ${event.style}`));
  }
};
