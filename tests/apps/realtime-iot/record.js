'use strict';

// Functions that topic rules call: each prints what it got.

exports.handler = async (event) => console.log('RECEIVED', JSON.stringify({ event }));

exports.fail = async (event) => {
  console.log('FAILING', JSON.stringify({ event }));
  throw new Error('not today');
};

exports.failed = async (event) => console.log('FAILED', JSON.stringify({ event }));
