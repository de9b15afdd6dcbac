module example.com/say
