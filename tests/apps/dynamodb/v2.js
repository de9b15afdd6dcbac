'use strict';

// The DocumentClient of aws-sdk v2, which reads no endpoint variables.

const AWS = require('aws-sdk');

const { decode, outcome } = require('./outcome.js');

const documents = new AWS.DynamoDB.DocumentClient();

exports.handler = ({ operation, input }) => outcome(documents[operation](decode(input)).promise());
